"""A data set of images in the layout of the Describable Textures Dataset (DTD).

| path | holds |
| --- | --- |
| images/<class>/<file> | the images as they came, in any format of `images.FORMATS` |
| labels/{train,val,test}{1..10}.txt | ten splits, one `<class>/<file>` a line |
| labels/labels_joint_anno.txt | an image and all its attributes a line |
| imdb/imdb.mat | ids, names, classes and split 1 for MATLAB |

An image's id is `<class>/<file>`, in Unicode's composed form (NFC). The index beside the layout
(images.csv) holds id, class and the split in use of every image, sorted by id.
"""
