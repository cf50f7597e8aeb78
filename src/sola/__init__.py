"""SoLa: label-free soft landing of frozen snippet features for temporal action localisation."""
