"""Emotions to prompts. The style encoder learned to tell seven Chinese labels apart; any other text passes through.

The labels are those of EmotiVoice's training data: 普通 生气 开心 惊讶 悲伤 厌恶 恐惧.
"""

from worker.engine.speech import NEUTRAL

PROMPTS = {
    NEUTRAL: "普通",
    "happy": "开心",
    "sad": "悲伤",
    "angry": "生气",
    "fearful": "恐惧",
    "surprised": "惊讶",
    "disgusted": "厌恶",
    # Not among the labels: free text, so that every emotion of the builtin engine has a prompt here too.
    "gentle": "温柔",
    "excited": "兴奋",
}


def prompt_of(emotion: str) -> str:
    """Return the prompt of an emotion's tag; other text is a prompt itself, and the empty text is allowed."""
    return PROMPTS.get(emotion, emotion)
