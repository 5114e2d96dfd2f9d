// Starts the push of what the job has built so far.
'use strict';

require('../shim.js').start('flush');
