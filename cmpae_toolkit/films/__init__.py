"""Films: a small synthetic world that can be heard and seen, for all who have no data at hand.

Ten-second mp4 films of drawn things and synthesised sounds, with exact labels of when each can be heard and when it can be seen.
They are the toolkit's own work and called synthetic wherever they are shown; scores on them say nothing about real videos.
"""

from pathlib import Path

SHOWCASE = Path(__file__).parents[1] / "assets" / "films"  # the twelve films that come with the package, a folder of a data set
