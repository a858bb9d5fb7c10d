// Under the pointer: the step, and each shown curve's value there; the legend's toggles. The page is whole without this.
"use strict";

function make(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

for (const figure of document.querySelectorAll("figure.chart")) {
  const plot = figure.querySelector(".plot");
  const data = JSON.parse(figure.querySelector("script").textContent);
  const scale = data.log ? Math.log10 : (step) => step;
  const [low, high] = [scale(data.low), scale(data.high)];
  const place = (step) => (scale(step) - low) / (high - low);
  const told = (at) => `${data.across} ${at.toLocaleString("en", { maximumSignificantDigits: data.across === "step" ? 21 : 3 })}`;
  const isShown = (index) => figure.querySelector(`.legend [data-curve="${index}"]`)?.ariaPressed !== "false";
  const steps = [...new Set(data.curves.flatMap((curve) => curve.points.map((point) => point[0])))].sort((a, b) => a - b);
  const cross = make("div", "cross");
  const tip = make("div", "tip");
  let shown = steps.length - 1;

  function nearest(points, at, of) {
    let [first, last] = [0, points.length - 1];
    while (last - first > 1) {
      const middle = (first + last) >> 1;
      if (place(of(points[middle])) < at) first = middle;
      else last = middle;
    }
    return Math.abs(place(of(points[first])) - at) <= Math.abs(place(of(points[last])) - at) ? first : last;
  }

  function show(index) {
    shown = Math.max(0, Math.min(steps.length - 1, index));
    const at = place(steps[shown]);
    const rows = data.curves.filter((_, index) => isShown(index)).map((curve) => {
      const [step, value] = curve.points[nearest(curve.points, at, (point) => point[0])];
      const row = make("p", "");
      row.append(make("i", `swatch ${curve.style}`));
      row.append(step === steps[shown] ? curve.name : `${curve.name} (${told(step)})`, make("b", "", value));
      return row;
    });
    tip.replaceChildren(make("p", "soft", told(steps[shown])), ...rows);
    plot.append(cross, tip);
    cross.style.left = `${100 * at}%`;
    const room = plot.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(Math.min(0, room), Math.min(room, at * plot.clientWidth + (at < 0.5 ? 12 : -12 - tip.offsetWidth)))}px`;
  }

  function hide() {
    cross.remove();
    tip.remove();
  }

  for (const button of figure.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const isOn = button.ariaPressed === "false";
      button.ariaPressed = String(isOn);
      for (const path of plot.querySelectorAll(`path[data-curve="${button.dataset.curve}"]`)) path.toggleAttribute("hidden", !isOn);
    });
  }

  plot.tabIndex = 0;
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show(nearest(steps, (event.clientX - box.left) / box.width, (step) => step));
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("focus", () => plot.matches(":focus-visible") && show(shown));
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show(shown + by);
  });
}
