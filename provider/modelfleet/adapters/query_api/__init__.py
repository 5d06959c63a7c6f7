"""HTTP: AgentRun's control API and ZStack's query API, answered from one fleet's catalogue."""
