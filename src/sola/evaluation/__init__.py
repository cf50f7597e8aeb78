"""What features, detections and proposals are worth: metrics, linear evaluation, controls, statistics."""
