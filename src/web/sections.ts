import { backend, isEdge } from "./page-state.ts";

/** Pure but for the backend that the page has: the views of its navigation. */

export interface Section {
  readonly view: string;
  readonly title: string;
}

/** For a person who has chats; the others are for a team, and behind "More". */
const first: readonly Section[] = [
  { view: "fleet", title: "Chats" },
  { view: "day", title: "Day" },
];

const more: readonly Section[] = [
  { view: "messages", title: "Messages" },
  { view: "tasks", title: "Tasks" },
  { view: "dead", title: "Dead tasks" },
  { view: "plan", title: "Plan" },
  { view: "files", title: "Reserved files" },
  { view: "experiments", title: "Experiments" },
  { view: "health", title: "Health" },
  { view: "phone", title: "This phone" },
];

const onlyOnMachine: ReadonlySet<string> = new Set(["day", "experiments"]);
/** Views whose calls a machine answers its phones. */
const onPhone: ReadonlySet<string> = new Set(["fleet", "day", "messages", "phone"]);

/** Sections that the backend of the page has something for. */
export function sections(): Readonly<Record<"first" | "more", readonly Section[]>> {
  const isThere = ({ view }: Section): boolean =>
    backend.value?.kind === "phone"
      ? onPhone.has(view)
      : view !== "phone" && !(isEdge.value && onlyOnMachine.has(view));
  return { first: first.filter(isThere), more: more.filter(isThere) };
}

/** Views that a section has besides its own. */
const within: Readonly<Record<string, string>> = { chat: "fleet", task: "tasks" };

export function sectionOf(view: string): string {
  return within[view] ?? view;
}

export function titleOf(view: string): string | undefined {
  return [...first, ...more].find((one) => one.view === view)?.title;
}
