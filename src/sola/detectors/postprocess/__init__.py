"""From candidates to detections: suppression, voting and class labels, as pure functions of segments."""
