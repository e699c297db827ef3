"""Text that a figure's edge cuts off."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def cut_texts(figure: Figure) -> list[str]:
    """The texts that do not stand within the figure, as it is drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found, edge = [], figure.bbox
    for text in figure.findobj(Text):
        box = text.get_window_extent(canvas.get_renderer())
        inside = edge.x0 <= box.x0 and edge.y0 <= box.y0 and box.x1 <= edge.x1 and box.y1 <= edge.y1
        if text.get_text() and text.get_visible() and not inside:
            found.append(text.get_text())
    return found
