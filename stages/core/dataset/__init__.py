"""A data set of images in the layout of the Describable Textures Dataset (DTD).

| path | holds |
| --- | --- |
| images/<class>/<file> | the images as they came, in any format of `images.FORMATS` |
| labels/{train,val,test}{1..10}.txt | ten splits, one `<class>/<file>` a line |
| labels/labels_joint_anno.txt | an image and all its attributes a line |
| imdb/imdb.mat | ids, names, classes and split 1 for MATLAB |
| features/ | in place of images/: features that were computed elsewhere |

| module | does |
| --- | --- |
| sources | gather the images: generated, from the release, from a folder |
| copying | decode images and put them in place, shared or copied, where a killed run goes on |
| release | download and unpack the official release |
| classes, selection | choose classes and images as the settings say |
| preview | tell the classes and counts that the settings lead to |
| layout | read, check and write the label files |
| features, feature_files | read, check and keep features that were computed elsewhere |
| images | decode image files of any mode |
| reading | read a user's files safely, and say what is wrong with them |
| summary | count what a data set holds |

An image's id is `<class>/<file>`, in Unicode's composed form (NFC). The index beside the layout
(images.csv) holds id, class and the split in use of every image, sorted by id.
"""
