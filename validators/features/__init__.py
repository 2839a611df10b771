"""What pictures are to the judges: features of frozen networks that real rows nobody is judged by have trained."""
