"""What every page must have: names for all controls, contrast and size of text, nothing beyond the edges, and
on a narrow screen controls that a finger can hit.
"""

from typing import Any

TEXTS = "button, a, dt, dd, th, td, li, label, figcaption, h1, h2, h3, p, output, kbd, summary, span, code"
NARROW = 500
_CONTRAST = """selector => [...document.querySelectorAll(selector)]
.filter(e => e.offsetParent && e.textContent.trim() && !e.disabled && !e.closest(':disabled')).map(e => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    let ground = e;
    while (/^rgba.*, 0\\)|transparent/.test(getComputedStyle(ground).backgroundColor))
        ground = ground.parentElement;
    const [a, b] = [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor].map(light);
    return [e.id || e.textContent.trim(), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)];
})"""
_UNNAMED = """() => [...document.querySelectorAll(
    'button, a, textarea, input, select, svg, canvas, progress, dialog, section, [role]'
)].filter(e => !(e.textContent.trim() && !e.matches('select, textarea') || e.ariaLabel || e.ariaHidden ||
    e.getAttribute('aria-labelledby') || e.labels?.length)).map(e => e.outerHTML)"""
_SMALL = """selector => [...document.querySelectorAll(selector)]
.filter(e => e.offsetParent && e.textContent.trim() && parseFloat(getComputedStyle(e).fontSize) < 12)
.map(e => e.outerHTML)"""
_OUTSIDE = """selector => [...document.querySelectorAll(selector)].filter(e => {
    const {left, right, width} = e.getBoundingClientRect();
    return e.offsetParent && width && (left < -.5 || right > innerWidth + .5);
}).map(e => e.outerHTML)"""
_LOW = """() => [...document.querySelectorAll(
    'button, select, label.button, [role=option], summary'
)].filter(e => {
    const {width, height} = e.getBoundingClientRect();
    return e.offsetParent && (height < 43.5 || width < 30);
}).map(e => [e.outerHTML, e.getBoundingClientRect().height])"""


def check_page(page: Any, width: int, height: int, scrolls: bool = False) -> None:
    """At this size nothing is cut off, controls have names, text has 12 px and a contrast of 4.5 (WCAG AA).

    Args:
        scrolls: the page may be higher than the window.
    """
    page.set_viewport_size({"width": width, "height": height})
    wide, high = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert wide == width
    assert scrolls or high == height
    assert not page.evaluate(_UNNAMED), page.evaluate(_UNNAMED)
    assert page.evaluate(_SMALL, TEXTS) == []
    assert page.evaluate(_OUTSIDE, f"{TEXTS}, input, select, textarea, svg") == []
    if width < NARROW:
        assert page.evaluate(_LOW) == []
    measured = page.evaluate(_CONTRAST, TEXTS)
    assert len(measured) > 5
    faint = [(name, contrast) for name, contrast in measured if contrast < 4.5]
    assert not faint, faint
