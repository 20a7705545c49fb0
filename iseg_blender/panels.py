CLASSES = ()


def draw_preferences(p, layout):
    pass
