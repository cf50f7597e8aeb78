"""Renderer of untrimmed videos of an articulated figure with exact action boundaries.

Reading order: skeleton (body and pose), curves (smooth motion from key poses), actions and background (motions),
timeline (order and times of the motions), choreography (pose and position at any time), style (person and viewpoint),
camera, scene (room and furniture), drawing, video (frames at any times), world (data sets), trimmed (clips of single
performances), contact_sheet (overview image), features (videos to snippet features), clip_network, clip_encoder and
pretraining (a small encoder trained on trimmed clips). The modules up to style use only NumPy and SciPy; the others
draw with OpenCV (`opencv-python-headless`). Units are meters and seconds. Angles are in degrees in tables and in
radians in poses.
"""
