// Before the first paint: the theme that was chosen the last time. "auto" follows the system.
"use strict";

try {
	document.documentElement.dataset.theme = localStorage.getItem("plaza-demo.theme") || "auto";
} catch {
	document.documentElement.dataset.theme = "auto";
}
