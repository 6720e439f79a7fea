"""callbridge: a self-hosted, real-time transcription bridge for phone calls. Read `call.py` first."""

__version__ = "0.1.0"
