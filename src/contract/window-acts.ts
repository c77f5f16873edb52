/** Deed of a client in a chat of an open window, as if its user had typed it. */
export type WindowAct = { readonly prompt: string } | { readonly stop: true };

/** How a client takes that: by SHIM's plugin in it, by its own server, or by its next hook. */
export type WindowWay = "plugin" | "server" | "hook";
