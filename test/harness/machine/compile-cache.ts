import { flushCompileCache } from "node:module";
import { afterAll } from "vitest";

// What the tests start is as on a user's machine.
delete process.env["NODE_COMPILE_CACHE"];
// Vitest ends its processes by a signal, after which nothing would be kept.
afterAll(() => flushCompileCache());
