"""From a hospital's archive to a training set: what joins formats, data and instruct into runs over directories, resumed and shared among processes."""
