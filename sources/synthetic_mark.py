"""What a picture says of itself: that a trained model made it, in the words of the IPTC.

The mark is an XMP packet (ISO 16684-1) with the IPTC Photo Metadata Standard's `DigitalSourceType`, the field that
image viewers, search engines and platforms read for it. It holds nothing else, and is the same in every picture.
"""

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC NewsCodes: created using a model derived from sampled content."""

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    f"<Iptc4xmpExt:DigitalSourceType>{DIGITAL_SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
).encode()
"""The packet, UTF-8."""


def is_marked(data: bytes) -> bool:
    """Return whether an encoded picture holds the mark; the packet is never compressed, so its bytes are looked for."""
    return XMP in data
