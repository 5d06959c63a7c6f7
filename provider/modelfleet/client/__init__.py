"""The SDK: AgentRun's ModelClient, ModelService, ModelProxy, Config, on the fleet of a cluster."""
