/** Operations that answer a page at a time, each with the field that holds the items. */
export const itemFields = {
  "audit.list": "entries",
  "chats.list": "chats",
  "leases.list": "leases",
  "state.list": "entries",
  "tasks.history": "attempts",
  "tasks.list": "tasks",
} as const;
