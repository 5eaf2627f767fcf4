// Tabs as the ARIA Authoring Practices describe them: one stop of the Tab key, arrows between them.

import { byId } from "./dom";

/** Gives a function that selects a tab by its id. */
export function makeTabs(list: HTMLElement): (id: string) => void {
  const tabs = [...list.querySelectorAll<HTMLButtonElement>("[role=tab]")];
  const select = (chosen: HTMLButtonElement) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls") ?? "", HTMLElement).hidden = !selected;
    }
  };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const targets: Record<string, number> = {
        ArrowRight: index === last ? 0 : index + 1,
        ArrowLeft: index === 0 ? last : index - 1,
        Home: 0,
        End: last,
      };
      const target = tabs[targets[event.key] ?? -1];
      if (!target) return;
      event.preventDefault();
      select(target);
      target.focus();
    });
  });
  return (id) => select(byId(id, HTMLButtonElement));
}
