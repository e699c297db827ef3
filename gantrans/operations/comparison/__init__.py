"""Which method suits a folder of pairs: L1, GAN and diffusion under one budget, judged on one test split.

`comparing.run_comparison` is what `python -m gantrans compare` calls. The parts: `methods` (a recipe for
each), `plan` (equal core-seconds as a number of steps), `training`, `scoring` and `draws` (metrics on the
test split), `rules` (the recommendation), `page` and `report_charts` (the report).
"""
