"""Made from `bridge.client._async` by `python -m scripts.make_sync_client`."""
