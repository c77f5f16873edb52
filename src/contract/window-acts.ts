/** Deed of a client in a chat of an open window, as if its user had typed it. */
export type WindowAct = { readonly prompt: string } | { readonly stop: true };

/** How a client takes that: by SHIM's plugin in its process, or by its own server. */
export type WindowWay = "plugin" | "server";
