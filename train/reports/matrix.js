// Under the pointer: a cell of the confusion matrix, its count, and its share of the true class.
for (const figure of document.querySelectorAll("figure.wide")) {
  const frame = figure.querySelector(".matrix");
  const cells = figure.querySelector(".cells");
  const { classes, counts } = JSON.parse(figure.querySelector("script").textContent);
  const [left, top, size] = ["left", "top", "cell"].map((name) => Number(cells.dataset[name]));
  const mark = make("div", "mark");
  const tip = make("div", "tip");
  let [row, column] = [0, 0];

  function show(toRow, toColumn) {
    const inside = (index) => Math.max(0, Math.min(classes.length - 1, index));
    [row, column] = [inside(toRow), inside(toColumn)];
    const count = counts[row][column];
    const whole = counts[row].reduce((sum, each) => sum + each, 0);
    const share = whole ? (100 * count) / whole : 0;
    const words = row === column ? `${classes[row]}, and taken for it` : `${classes[row]}, taken for ${classes[column]}`;
    tip.replaceChildren(make("p", "", words), make("p", "soft", `${count.toLocaleString("en")} of ${whole.toLocaleString("en")} rows, ${share.toPrecision(3)}%`));
    cells.append(mark, tip);
    Object.assign(mark.style, { left: `${left + column * size}px`, top: `${top + row * size}px`, width: `${size}px`, height: `${size}px` });
    const under = top + (row + 1) * size + 8;
    tip.style.top = `${under + tip.offsetHeight <= cells.offsetHeight ? under : top + row * size - 8 - tip.offsetHeight}px`;
    tip.style.left = `${Math.max(0, Math.min(cells.offsetWidth - tip.offsetWidth, left + (column + 0.5) * size - tip.offsetWidth / 2))}px`;
  }

  function hide() {
    mark.remove();
    tip.remove();
  }

  cells.addEventListener("pointermove", (event) => {
    const box = cells.getBoundingClientRect();
    const [down, across] = [(event.clientY - box.top - top) / size, (event.clientX - box.left - left) / size].map(Math.floor);
    const isInside = [down, across].every((index) => index >= 0 && index < classes.length);
    if (isInside) show(down, across);
    else hide();
  });
  cells.addEventListener("pointerleave", hide);
  frame.addEventListener("focus", () => frame.matches(":focus-visible") && show(row, column));
  frame.addEventListener("blur", hide);
  frame.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    show(row + by[0], column + by[1]);
  });
}
