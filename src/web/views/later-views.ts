import type { ComponentType } from "preact";
import type { teamViews } from "./team-views.ts";

export interface ViewProps {
  readonly id: string;
}

const ofTeam = (name: keyof typeof teamViews) => async () => (await import("./team-views.ts")).teamViews[name];

/** Beyond the first load. */
export const laterViews: Readonly<Record<string, () => Promise<ComponentType<ViewProps>>>> = {
  chat: async () => (await import("./chat.tsx")).ChatView,
  day: async () => (await import("./day.tsx")).DayView,
  messages: ofTeam("messages"),
  tasks: ofTeam("tasks"),
  task: ofTeam("task"),
  files: ofTeam("files"),
  dead: ofTeam("dead"),
  plan: ofTeam("plan"),
  experiments: ofTeam("experiments"),
  health: ofTeam("health"),
  edge: async () => (await import("./sign-in-edge.tsx")).SignInToEdge,
  phone: async () => (await import("../phone/phone-view.tsx")).PhoneView,
};
