"""Untrimmed videos of an articulated figure, drawn by this project, whose action boundaries are exact.

Reading order: skeleton (a body and its pose), curves (smooth motion from key poses), actions and background (what the
figure does), timeline (when), choreography (pose and place at any time), style (who, and from where it is seen),
camera, scene (what stands around), drawing, video (frames at any times), world (data sets), trimmed (clips of single
performances), contact_sheet (a picture of all of it), features (videos to snippet features), clip_network, clip_encoder
and pretraining (the small encoder that is trained on trimmed clips). Everything up to style is numpy and scipy; the
rest draws with OpenCV (`opencv-python-headless`). Lengths are meters, angles degrees in the tables and radians in
poses, times seconds.
"""
