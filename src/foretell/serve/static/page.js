"use strict";

// Charts are drawn from their descriptions. The interpreter of expressions does without eval, which the page's
// policy forbids.
for (const place of document.querySelectorAll(".picture")) {
  const spec = JSON.parse(place.querySelector("script").textContent);
  const drawn = place.querySelector(".drawn");
  vegaEmbed(drawn, spec, { actions: false, ast: true, renderer: "svg", defaultStyle: false, tooltip: { disableDefaultStyle: true } }).then(() => {
    place.dataset.ready = "yes";
  });
}

// A job is asked about until it is over; then the page shows what came of it.
const job = document.querySelector("[data-job]");
if (job) {
  const bar = job.querySelector("progress");
  const words = job.querySelector("[role=status]");
  const ask = async () => {
    try {
      const answer = await fetch(`/v1/jobs/${job.dataset.job}`);
      const now = await answer.json();
      if (!["waiting", "running"].includes(now.state)) {
        location.assign(now.state === "done" && job.dataset.kind === "fit" ? job.dataset.next : location.href);
        return;
      }
      bar.value = now.progress;
      const said = job.dataset[now.message] || job.dataset[now.state] || now.message;
      if (words.textContent !== said) words.textContent = said;
    } catch {
      // The service may be starting again: it is asked once more.
    }
    setTimeout(ask, 500);
  };
  setTimeout(ask, 300);
}

// What takes its time comes after the rest of the page.
for (const part of document.querySelectorAll("[data-part]")) {
  const place = part.querySelector("[aria-live]");
  fetch(part.dataset.part)
    .then((answer) => answer.text())
    .then((text) => {
      const found = new DOMParser().parseFromString(text, "text/html").querySelector(".part");
      if (found) place.replaceWith(found);
      part.dataset.ready = "yes";
    });
}

// Of visits and of series other columns are needed.
const kinds = document.querySelectorAll("input[name=kind]");
const choose = () => {
  const kind = document.querySelector("input[name=kind]:checked").value;
  for (const part of document.querySelectorAll("[data-of]")) {
    part.hidden = part.dataset.of !== kind;
    for (const field of part.querySelectorAll("input, select")) field.disabled = part.hidden;
  }
};
for (const kind of kinds) kind.addEventListener("change", choose);
if (kinds.length) choose();

// A file that is dropped anywhere on the zone is the one that is chosen.
const zone = document.querySelector(".drop");
if (zone) {
  const input = zone.querySelector("input");
  const over = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
}
