import type { SessionView } from "../contract/machine/sessions.ts";
import { canResume } from "./fleet-view.ts";

/** Pure. Keys of `shim up`, and what each does. */

export type Key = "up" | "down" | "enter" | "undo" | "help" | "leave" | "other";

export interface FleetState {
  /** In the order in which they are shown. */
  readonly chats: readonly SessionView[];
  /** Id of a chat, which may be shown no more; null: none was selected. */
  readonly selected: string | null;
  readonly isHelp: boolean;
  /** Why the last key did nothing; null: it did something. */
  readonly note: string | null;
}

/** Ends the screen. */
export type FleetAction = { readonly does: "leave" } | { readonly does: "resume" | "undo"; readonly session: string };

export const emptyFleet: FleetState = { chats: [], selected: null, isHelp: false, note: null };

const keyNames: Readonly<Record<string, Key>> = {
  "\u001b[A": "up",
  "\u001bOA": "up",
  k: "up",
  "\u001b[B": "down",
  "\u001bOB": "down",
  j: "down",
  "\r": "enter",
  "\n": "enter",
  u: "undo",
  "?": "help",
  q: "leave",
  "\u0003": "leave",
};

/** A sequence that begins with ESC is one key. */
// oxlint-disable-next-line no-control-regex -- ESC begins what arrow keys send
const oneKey = /\u001b(?:\[[\d;]*[A-Za-z~]|O[A-Za-z])|[\s\S]/gu;

/** @param text as a terminal sends it, which may hold several keys */
export function keysIn(text: string): Key[] {
  return (text.match(oneKey) ?? []).map((one) => keyNames[one] ?? "other");
}

/** The first chat is selected when chats come for the first time; none takes the row of another. */
export function withChats(state: FleetState, chats: readonly SessionView[]): FleetState {
  return { ...state, chats, selected: state.selected ?? chats[0]?.id ?? null };
}

export function press(state: FleetState, key: Key): FleetState | FleetAction {
  if (key === "leave") return { does: "leave" };
  if (state.isHelp || key === "help") return { ...state, note: null, isHelp: !state.isHelp };
  if (key === "up" || key === "down") return { ...state, note: null, selected: neighbour(state, key) };
  return key === "other" ? state : act(state, key);
}

/** From a chat that is shown no more, the first or the last. */
function neighbour({ chats, selected }: FleetState, key: "up" | "down"): string | null {
  const at = chats.findIndex(({ id }) => id === selected);
  const first = key === "down" ? 0 : chats.length - 1;
  const next = at < 0 ? first : Math.min(chats.length - 1, Math.max(0, at + (key === "down" ? 1 : -1)));
  return chats[next]?.id ?? selected;
}

function act(state: FleetState, key: "enter" | "undo"): FleetState | FleetAction {
  const chat = state.chats.find(({ id }) => id === state.selected);
  const does = key === "enter" ? "resume" : "undo";
  const note = chat === undefined ? noChat(state) : obstacle(chat, does);
  return chat === undefined || note !== null ? { ...state, note } : { does, session: chat.id };
}

function noChat({ chats }: FleetState): string {
  return chats.length === 0 ? "There is no chat to select." : "Select a chat first: the arrow keys, or j and k.";
}

function obstacle(chat: SessionView, does: "resume" | "undo"): string | null {
  const { shortId, machine } = chat;
  if (does === "undo") return machine === null ? null : `The files of chat ${shortId} are on ${machine}.`;
  return canResume(chat) ? null : `Chat ${shortId} is still running: it continues in its own window.`;
}
