// As where Cloudflare's runtime is not installed: `node --import`.
import { registerHooks } from "node:module";

registerHooks({
  resolve(name, context, next) {
    return next(name === "miniflare" ? "not-installed" : name, context);
  },
});
