// Shows /openapi.json, or with ?of=SYSTEM the document of an older system, with the reader beside this file; without it
// (no npm at set-up) as a plain list.
'use strict';

const system = new URLSearchParams(location.search).get('of');
const documentUrl = system ? `/openapi/${encodeURIComponent(system)}` : '/openapi.json';

async function plainList(place) {
	const doc = await (await fetch(documentUrl)).json();
	const list = document.createElement('ul');
	for (const [path, methods] of Object.entries(doc.paths)) {
		for (const [method, operation] of Object.entries(methods)) {
			const item = document.createElement('li');
			item.textContent = `${method.toUpperCase()} ${path}: ${operation.summary || ''}`;
			list.append(item);
		}
	}
	place.append(list);
}

if (window.SwaggerUIBundle) {
	window.SwaggerUIBundle({
		url: documentUrl,
		dom_id: '#reader',
		deepLinking: true,
		validatorUrl: null, // sends nothing to anybody
	});
} else {
	plainList(document.getElementById('reader'));
}
