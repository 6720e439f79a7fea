"""The other end of the line: being a carrier, for `callbridge play`, the demo, the benchmark and the tests."""
