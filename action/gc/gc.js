// Starts the collection of garbage.
'use strict';

require('../shim.js').start('gc');
