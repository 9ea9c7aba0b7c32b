"""MLRun's voting ensemble with the executor that asks one model after the other."""

import mlrun_groups
from protocol import answer

answer(
    {
        "vote of 3": mlrun_groups.vote_in_sequence,
        "vote of 3, two against one": mlrun_groups.vote_split_in_sequence,
    }
)
