"""Operation of a translator: service, monitors, drift, review, feedback, fine-tuning, gate, registry."""
