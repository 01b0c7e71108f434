"""What the end-to-end checks share: a client and a cluster of server processes."""
