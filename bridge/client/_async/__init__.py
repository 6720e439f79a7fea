"""The client as it is written. `bridge.client._sync` is made from it: `python -m scripts.make_sync_client`."""
