/** The browser of the tests of the page. */
export const chromiumPath = process.env["SHIM_CHROMIUM"] ?? "/usr/bin/chromium";
