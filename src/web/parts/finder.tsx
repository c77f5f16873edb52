import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { stateText } from "../../contract/chat-state.ts";
import { rowsOf } from "../fleet-groups.ts";
import { matches, plain, splitPath } from "../format.ts";
import { isFinding, linkTo, openView, useCall } from "../page-state.ts";
import { sections } from "../sections.ts";

interface Target {
  readonly link: string;
  readonly title: string;
  readonly about: string;
}

const maxShown = 10;

/** Goes to any chat and any view by some letters of it. */
export function Finder(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const found = useTargets()
    .filter(({ title, about }) => matches(text, [title, about]))
    .slice(0, maxShown);
  const leave = (): void => {
    dialog.current?.close();
    isFinding.value = false;
  };
  const open = (target: Target | undefined): void => {
    if (target === undefined) return;
    leave();
    openView(target.link);
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      setChosen((chosen + step + found.length) % Math.max(1, found.length));
    }
    if (event.key === "Enter") open(found[chosen]);
  };
  return (
    <dialog ref={dialog} class="finder" aria-label="Go to a chat or a view" onClose={leave}>
      <input
        role="combobox"
        aria-label="Chat or view"
        aria-expanded="true"
        aria-controls="targets"
        aria-activedescendant={found.length > 0 ? `target-${chosen}` : undefined}
        placeholder="Chat or view"
        autocomplete="off"
        value={text}
        onInput={({ currentTarget }) => {
          setText(currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={onKey}
      />
      <ul id="targets" role="listbox" aria-label="Chats and views">
        {found.map((target, at) => (
          <li
            key={target.link}
            id={`target-${at}`}
            role="option"
            aria-selected={at === chosen}
            onClick={() => open(target)}
          >
            {target.title} <span class="muted">{target.about}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="muted">Nothing has these letters.</p>}
    </dialog>
  );
}

/** Chats in the order in which they need their user, then views. */
function useTargets(): Target[] {
  const fleet = useCall("page.fleet", {}, true).value;
  const { first, more } = sections();
  const chats = fleet ? rowsOf(fleet) : [];
  return [
    ...chats.map(({ id, title, project, ...row }) => {
      const about = [stateText(row), project === null ? "" : splitPath(project)[0], row.client];
      return {
        link: linkTo("chat", id),
        title: plain(title ?? "untitled"),
        about: plain(about.filter((part) => part).join(" · ")),
      };
    }),
    ...[...first, ...more].map(({ view, title }) => ({ link: linkTo(view), title, about: "view" })),
  ];
}
