// Sends the page's one form: the answer to an application that asked to be answered by POST. Without JavaScript its button does.
"use strict";
document.querySelector("form[data-send]").submit();
