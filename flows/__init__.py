"""The story: spec, tasks, the release flow and the command line. The only room that knows Prefect."""
