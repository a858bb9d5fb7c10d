"""The engine: one loop, one step, from a config to a trained, evaluated, saved model."""
