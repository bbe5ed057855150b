"""What must hold of every sequence of a data set: each check looks at one sequence after the other and then concludes.

Nothing is kept but sums, counts and the worst places, so that a set of millions of frames is checked in little memory.

The limits are this project's, chosen from what was measured on recorded motion (CMU and HDM05 before Human3.6M's
cameras): limbs vary by 0.1 mm, the trunk's bones by up to 28 mm, since a joint of the spine lies between those that
were recorded; with the truth in the image, where one factor serves all depths of a person, limbs vary by up to 25 mm or
11 %. Simulated detectors are 3 to 7 px off (median), and 96 to 99.5 % of their keypoints are nearer to their own joint
than to the same one of the other side.
"""
