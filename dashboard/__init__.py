"""The dashboard: Panel pages and components over the engine's frames."""
