export const chromiumPath = process.env["SHIM_CHROMIUM"] ?? "/usr/bin/chromium";
