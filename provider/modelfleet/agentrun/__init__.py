"""AgentRun's words for services and proxies: its shapes, its verbs, on the fleet of a cluster.

The SDK and the HTTP API say the same things in two ways; what they mean is decided here, once.
Knows no HTTP and no call shapes of either.
"""
