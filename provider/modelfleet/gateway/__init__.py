"""ModelProxy: the configuration of its gateway, and the application that runs in its pods."""
