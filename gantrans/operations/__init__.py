"""Operating a translator: service, monitors, drift, human review, feedback, fine-tuning, gate, registry."""
