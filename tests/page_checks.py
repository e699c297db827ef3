"""What every page must have: names for all controls, contrast of text, and no scroll bars at usual sizes."""

from typing import Any

TEXTS = "button, a, dt, dd, th, td, li, label, figcaption, h1, h2, p, output"
_CONTRAST = """selector => [...document.querySelectorAll(selector)]
.filter(e => e.offsetParent && e.textContent.trim() && !e.disabled).map(e => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    let ground = e;
    while (/, 0\\)|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
    const [a, b] = [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor].map(light);
    return [e.id || e.textContent.trim(), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)];
})"""
_UNNAMED = """() => [...document.querySelectorAll(
    'button, a, textarea, input, select, svg, canvas, progress, dialog, section, [role]'
)].filter(e => !(e.textContent.trim() && !e.matches('select, textarea') || e.ariaLabel ||
    e.getAttribute('aria-labelledby') || e.labels?.length)).map(e => e.outerHTML)"""


def check_page(page: Any, width: int, height: int) -> None:
    """At this size: nothing is cut off, controls have names, and text has a contrast of 4.5 (WCAG AA)."""
    page.set_viewport_size({"width": width, "height": height})
    root = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert root == [width, height]
    assert page.evaluate(_UNNAMED) == []
    measured = page.evaluate(_CONTRAST, TEXTS)
    assert len(measured) > 10
    assert [name for name, contrast in measured if contrast < 4.5] == []
