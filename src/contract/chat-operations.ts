import * as chats from "./chats.ts";
import { chatErrors, type Operation } from "./operation.ts";

export const chatOperations = {
  "chats.register": {
    method: "POST",
    path: "/chats",
    scope: "work",
    ...chats.RegisterChat,
    errors: ["session_in_use", "too_many_chats", "quota_exceeded"],
    summary: "Registers a chat, or continues it after a reconnect. On a socket it binds the connection to the chat.",
  },
  "chats.heartbeat": {
    method: "POST",
    path: "/chats/heartbeat",
    scope: "work",
    ...chats.Heartbeat,
    errors: chatErrors,
    summary: "Says that a chat is alive and how it is. Unchanged, it writes nothing while a socket is connected.",
  },
  "chats.list": {
    method: "GET",
    path: "/chats",
    scope: "observe",
    ...chats.ListChats,
    errors: [],
    summary: "Lists chats by id, page by page.",
  },
  "chats.get": {
    method: "GET",
    path: "/chats/get",
    scope: "observe",
    ...chats.GetChat,
    errors: ["unknown_chat"],
    summary: "One chat.",
  },
  "chats.unregister": {
    method: "POST",
    path: "/chats/unregister",
    scope: "work",
    ...chats.UnregisterChat,
    errors: chatErrors,
    summary: "The chat leaves; all that it holds is free at once.",
  },
  "chats.drain": {
    method: "POST",
    path: "/chats/drain",
    scope: "submit",
    ...chats.DrainChat,
    errors: ["unknown_chat", "chat_offline"],
    summary: "The chat finishes what it has and takes nothing new.",
  },
  "chats.attest-death": {
    method: "POST",
    path: "/chats/attest-death",
    scope: "work",
    ...chats.AttestDeath,
    errors: ["unknown_chat", "owner_alive"],
    summary:
      "Another process of the chat's machine has seen that its process is gone: all that it held is free at once.",
  },
} as const satisfies Record<string, Operation>;
